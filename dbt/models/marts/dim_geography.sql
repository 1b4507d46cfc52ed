{{ config(materialized='table') }}
with listed as (
  {{ countries() }}
),
members as (
  select country_code, country_alpha_3, country_name, region_name, subregion_name, false as is_inferred from listed
  union all
  select
    named.country_code, {{ nothing('varchar') }}, {{ nothing('varchar') }}, {{ nothing('varchar') }},
    {{ nothing('varchar') }}, true
  from (select distinct country_code from {{ ref('stg_transactions') }} where country_code is not null) as named
  where named.country_code not in (select country_code from listed)
)
select
  {{ hash_key(['country_code']) }} as geography_key,
  country_code,
  country_alpha_3,
  country_name,
  region_name,
  subregion_name,
  is_inferred
from members
union all
select
  -1, {{ nothing('varchar') }}, {{ nothing('varchar') }}, {{ nothing('varchar') }}, {{ nothing('varchar') }},
  {{ nothing('varchar') }}, false
