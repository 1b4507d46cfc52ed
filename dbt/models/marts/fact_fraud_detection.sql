{{ config(materialized='table') }}
-- Its form is settled, its rows are not there yet: the landed signals of a scoring service take the place of `signals`.
with signals as (
  select
    {{ nothing('varchar') }} as transaction_id,
    {{ nothing('decimal(9, 8)') }} as fraud_score,
    {{ nothing('varchar') }} as risk_level,
    {{ nothing('varchar') }} as decision,
    {{ nothing('varchar') }} as model_version,
    {{ nothing('decimal(9, 6)') }} as latency_seconds,
    {{ nothing('timestamp with time zone') }} as scored_at,
    {{ nothing('bigint') }} as load_sequence
  where false
)
select
  signals.transaction_id,
  coalesce(scored.date_key, -1) as scored_date_key,
  coalesce(minutes.time_key, -1) as scored_time_key,
  coalesce(payment.merchant_key, -1) as merchant_key,
  coalesce(payment.customer_key, -1) as customer_key,
  coalesce(payment.geography_key, -1) as geography_key,
  coalesce(payment.device_key, -1) as device_key,
  signals.fraud_score,
  signals.risk_level,
  signals.decision,
  signals.model_version,
  signals.latency_seconds,
  signals.scored_at,
  signals.load_sequence
from signals
left join {{ ref('dim_date') }} as scored on scored.calendar_date = cast({{ in_utc('signals.scored_at') }} as date)
left join {{ ref('dim_time') }} as minutes on minutes.time_key = {{ time_key('signals.scored_at') }}
left join {{ ref('fact_transaction') }} as payment on payment.transaction_id = signals.transaction_id
