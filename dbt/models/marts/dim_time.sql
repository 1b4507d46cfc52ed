{{ config(materialized='table') }}
with minutes as (
  select
    number_of,
    cast((number_of - mod(number_of, 60)) / 60 as integer) as hour_of_day,
    cast(mod(number_of, 60) as integer) as minute_of_hour
  from ({{ numbers(1440) }}) as counted
)
select
  hour_of_day * 100 + minute_of_hour as time_key,
  lpad(cast(hour_of_day as varchar), 2, '0') || ':' || lpad(cast(minute_of_hour as varchar), 2, '0') as time_of_day,
  hour_of_day,
  minute_of_hour,
  number_of as minute_of_day,
  case
    when hour_of_day < 6 then 'night'
    when hour_of_day < 12 then 'morning'
    when hour_of_day < 18 then 'afternoon'
    else 'evening'
  end as day_part,
  hour_of_day between 9 and 17 as is_business_hour
from minutes
union all
select
  -1, {{ nothing('varchar') }}, {{ nothing('integer') }}, {{ nothing('integer') }}, {{ nothing('integer') }},
  {{ nothing('varchar') }}, {{ nothing('boolean') }}
