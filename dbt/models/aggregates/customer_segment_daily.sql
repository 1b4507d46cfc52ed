{{ config(
    unique_key='created_date',
    pre_hook="{{ delete_vanished_dates() }}"
) }}
-- depends_on: {{ ref('stg_removed_keys') }}
{% set fewest = var('smallest_group') -%}
-- Whole dates are computed anew: as merchant_daily, and those of customers of whom another load brought something. What
-- was seen of payments and of customers is kept apart, for either may be built before the other. A
-- customer counts once a day, under the segment that holds at the end of it, so that the groups are disjoint.
with customer_days as (
  select
    created_date,
    customer_token,
    sum(case when is_deleted then 0 else 1 end) as transaction_count,
    sum(
      case when status in ('succeeded', 'refunded', 'partially_refunded', 'disputed') and not is_deleted then 1 else 0 end
    ) as succeeded_count,
    sum(case when status = 'failed' and not is_deleted then 1 else 0 end) as failed_count,
    sum(case when is_deleted then 0 else coalesce(captured_usd_minor, 0) end) as captured_usd_minor,
    sum(case when is_deleted then 0 else coalesce(refunded_usd_minor, 0) end) as refunded_usd_minor,
    max(load_sequence) as payment_sequence
  from {{ ref('fact_transaction') }}
  {% if is_incremental() -%}
  where created_date in (
    select created_date from {{ ref('fact_transaction') }} where load_sequence > {{ seen('payment_sequence') }}
    union
    select created_date from {{ ref('fact_transaction') }}
    where customer_token in (
      select customer_token from {{ ref('dim_customer') }} where load_sequence > {{ seen('customer_sequence') }}
    )
    union
    select created_date from {{ ref('stg_removed_keys') }}
    where dataset = 'transactions' and load_sequence > {{ seen('payment_sequence') }}
  )
  {%- endif %}
  group by created_date, customer_token
),
placed as (
  select
    days.*,
    coalesce(customer.segment, 'unknown') as segment,
    coalesce(customer.load_sequence, 0) as customer_sequence
  from customer_days as days
  left join {{ ref('dim_customer') }} as customer
    on customer.customer_token = days.customer_token
    and customer.effective_from < {{ end_of_day('days.created_date') }}
    and customer.effective_to >= {{ end_of_day('days.created_date') }}
),
segments as (
  select
    created_date,
    segment,
    count(*) as customer_count,
    sum(transaction_count) as transaction_count,
    sum(succeeded_count) as succeeded_count,
    sum(failed_count) as failed_count,
    sum(captured_usd_minor) as captured_usd_minor,
    sum(refunded_usd_minor) as refunded_usd_minor,
    count(*) < {{ fewest }} as is_small
  from placed
  where transaction_count > 0
  group by created_date, segment
),
ranked as (
  select
    *,
    sum(case when is_small then customer_count else 0 end) over (partition by created_date) as small_customers,
    row_number() over (partition by created_date, is_small order by customer_count, segment) as size_rank
  from segments
),
-- Small segments are shown as one; while they are too few even together, the next larger one hides them.
labelled as (
  select
    *,
    case
      when is_small or (small_customers between 1 and {{ fewest }} - 1 and size_rank = 1) then 'merged'
      else segment
    end as published_segment
  from ranked
),
published as (
  select
    created_date,
    published_segment,
    sum(customer_count) as customer_count,
    sum(transaction_count) as transaction_count,
    sum(succeeded_count) as succeeded_count,
    sum(failed_count) as failed_count,
    sum(captured_usd_minor) as captured_usd_minor,
    sum(refunded_usd_minor) as refunded_usd_minor
  from labelled
  group by created_date, published_segment
),
dates as (
  select
    created_date,
    max(payment_sequence) as payment_sequence,
    max(customer_sequence) as customer_sequence
  from placed
  group by created_date
)
select
  dates.created_date,
  coalesce(published.published_segment, 'withheld') as segment,
  published.customer_count::bigint as customer_count,
  published.transaction_count::bigint as transaction_count,
  published.succeeded_count::bigint as succeeded_count,
  published.failed_count::bigint as failed_count,
  published.captured_usd_minor::bigint as captured_usd_minor,
  published.refunded_usd_minor::bigint as refunded_usd_minor,
  (published.captured_usd_minor - published.refunded_usd_minor)::bigint as net_usd_minor,
  dates.payment_sequence,
  dates.customer_sequence,
  greatest(dates.payment_sequence, dates.customer_sequence) as load_sequence
from dates
left join published
  on published.created_date = dates.created_date
  and published.customer_count >= {{ fewest }}
