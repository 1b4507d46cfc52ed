{{ config(
    unique_key='created_date',
    pre_hook="{{ delete_vanished_dates() }}"
) }}
-- depends_on: {{ ref('stg_removed_keys') }}
-- Whole dates are computed anew: those of payments in loads not seen yet, and those that a load took payments from.
with payments as (
  select * from {{ ref('fact_transaction') }}
  {% if is_incremental() -%}
  where created_date in (
    select created_date from {{ ref('fact_transaction') }} where load_sequence > {{ seen() }}
    union
    select created_date from {{ ref('stg_removed_keys') }}
    where dataset = 'transactions' and load_sequence > {{ seen() }}
  )
  {%- endif %}
),
judged as (
  select
    *,
    case when is_deleted then 0 else 1 end as kept
  from payments
)
select
  merchant_id,
  created_date,
  sum(kept)::bigint as transaction_count,
  sum(case when status in ('succeeded', 'refunded', 'partially_refunded', 'disputed') then kept else 0 end)::bigint
    as succeeded_count,
  sum(case when status = 'failed' then kept else 0 end)::bigint as failed_count,
  sum(case when status in ('pending', 'processing') then kept else 0 end)::bigint as open_count,
  sum(case when status in ('refunded', 'partially_refunded') then kept else 0 end)::bigint as refunded_count,
  sum(case when status = 'disputed' then kept else 0 end)::bigint as disputed_count,
  (count(*) - sum(kept))::bigint as deleted_count,
  sum(case when usd_rate is null then kept else 0 end)::bigint as unrated_count,
  coalesce(sum(amount_usd_minor * kept), 0)::bigint as gross_usd_minor,
  coalesce(sum(captured_usd_minor * kept), 0)::bigint as captured_usd_minor,
  coalesce(sum(refunded_usd_minor * kept), 0)::bigint as refunded_usd_minor,
  (coalesce(sum(captured_usd_minor * kept), 0) - coalesce(sum(refunded_usd_minor * kept), 0))::bigint as net_usd_minor,
  max(load_sequence) as load_sequence
from judged
group by merchant_id, created_date
