{{ config(materialized='table') }}
with seen as (
  select device_type, os_name, browser_name from {{ ref('stg_transactions') }} where is_device_present
  union
  select device_type, os_name, browser_name from {{ ref('stg_devices') }}
),
kinds as (
  select distinct
    device_type,
    nullif(os_name, '') as os_name,
    nullif(browser_name, '') as browser_name
  from seen
  where device_type is not null
)
select
  {{ hash_key([device_kind('kinds')]) }} as device_key,
  device_type,
  os_name,
  browser_name,
  false as is_inferred
from kinds
union all
select
  {{ hash_key(["'unidentified'"]) }}, {{ nothing('varchar') }}, {{ nothing('varchar') }}, {{ nothing('varchar') }}, true
union all
select -1, {{ nothing('varchar') }}, {{ nothing('varchar') }}, {{ nothing('varchar') }}, false
