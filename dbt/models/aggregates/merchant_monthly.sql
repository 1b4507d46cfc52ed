{{ config(materialized='table') }}
-- Made anew whole from the days, of which there are few: three models feed it, and any of them may be built before the
-- others, so no mark of what was seen of one says what was seen of the next.
with payments as (
  select
    merchant_id,
    {{ month_of('created_date') }} as month_date,
    sum(case when transaction_count > 0 then 1 else 0 end) as active_day_count,
    {%- for name in [
      'transaction_count', 'succeeded_count', 'failed_count', 'open_count', 'refunded_count', 'disputed_count',
      'deleted_count', 'unrated_count', 'gross_usd_minor', 'captured_usd_minor', 'refunded_usd_minor', 'net_usd_minor',
    ] %}
    sum({{ name }}) as {{ name }},
    {%- endfor %}
    max(load_sequence) as load_sequence
  from {{ ref('merchant_daily') }}
  group by 1, 2
),
refunds as (
  select
    merchant_id,
    {{ month_of('created_date') }} as month_date,
    sum(case when status = 'succeeded' and not is_deleted then 1 else 0 end) as made_count,
    sum(case when status = 'succeeded' and not is_deleted then amount_usd_minor else 0 end) as made_usd_minor,
    max(load_sequence) as load_sequence
  from {{ ref('fact_refund') }}
  group by 1, 2
),
disputes as (
  select
    merchant_id,
    {{ month_of('created_date') }} as month_date,
    sum(case when is_deleted then 0 else 1 end) as opened_count,
    sum(case when is_deleted then 0 else amount_usd_minor end) as opened_usd_minor,
    sum(case when is_fraud and not is_deleted then 1 else 0 end) as fraud_count,
    sum(case when status = 'lost' and not is_deleted then 1 else 0 end) as lost_count,
    max(load_sequence) as load_sequence
  from {{ ref('fact_dispute') }}
  group by 1, 2
)
select
  merchant_id,
  month_date,
  coalesce(payments.active_day_count, 0)::bigint as active_day_count,
  coalesce(payments.transaction_count, 0)::bigint as transaction_count,
  coalesce(payments.succeeded_count, 0)::bigint as succeeded_count,
  coalesce(payments.failed_count, 0)::bigint as failed_count,
  coalesce(payments.open_count, 0)::bigint as open_count,
  coalesce(payments.refunded_count, 0)::bigint as refunded_count,
  coalesce(payments.disputed_count, 0)::bigint as disputed_count,
  coalesce(payments.deleted_count, 0)::bigint as deleted_count,
  coalesce(payments.unrated_count, 0)::bigint as unrated_count,
  coalesce(payments.gross_usd_minor, 0)::bigint as gross_usd_minor,
  coalesce(payments.captured_usd_minor, 0)::bigint as captured_usd_minor,
  coalesce(payments.refunded_usd_minor, 0)::bigint as refunded_usd_minor,
  coalesce(payments.net_usd_minor, 0)::bigint as net_usd_minor,
  coalesce(refunds.made_count, 0)::bigint as refunds_made_count,
  coalesce(refunds.made_usd_minor, 0)::bigint as refunds_made_usd_minor,
  coalesce(disputes.opened_count, 0)::bigint as disputes_opened_count,
  coalesce(disputes.opened_usd_minor, 0)::bigint as disputes_opened_usd_minor,
  coalesce(disputes.fraud_count, 0)::bigint as fraud_disputes_opened_count,
  coalesce(disputes.lost_count, 0)::bigint as disputes_lost_count,
  greatest(
    coalesce(payments.load_sequence, 0), coalesce(refunds.load_sequence, 0), coalesce(disputes.load_sequence, 0)
  ) as load_sequence
from payments
full outer join refunds using (merchant_id, month_date)
full outer join disputes using (merchant_id, month_date)
