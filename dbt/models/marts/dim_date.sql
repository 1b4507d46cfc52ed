{{ config(materialized='table') }}
with days as (
  {{ calendar(var('calendar_first'), var('calendar_end')) }}
)
select
  cast(year(calendar_date) * 10000 + month(calendar_date) * 100 + day(calendar_date) as integer) as date_key,
  calendar_date,
  cast(year(calendar_date) as integer) as year_number,
  cast(quarter(calendar_date) as integer) as quarter_number,
  cast(month(calendar_date) as integer) as month_number,
  cast(day(calendar_date) as integer) as day_of_month,
  cast(dayofyear(calendar_date) as integer) as day_of_year,
  cast({{ iso_day_of_week('calendar_date') }} as integer) as day_of_week,
  cast({{ iso_year('calendar_date') }} as integer) as iso_year_number,
  cast({{ iso_week('calendar_date') }} as integer) as iso_week_number,
  {{ iso_day_of_week('calendar_date') }} >= 6 as is_weekend
from days
union all
select
  -1, {{ nothing('date') }}, {{ nothing('integer') }}, {{ nothing('integer') }}, {{ nothing('integer') }},
  {{ nothing('integer') }}, {{ nothing('integer') }}, {{ nothing('integer') }}, {{ nothing('integer') }},
  {{ nothing('integer') }}, {{ nothing('boolean') }}
