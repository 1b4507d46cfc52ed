{{ config(
    unique_key='transaction_id',
    pre_hook="{{ delete_vanished('stg_transactions', 'transactions', 'transaction_id', 'status') }}"
) }}
{% set members = [
  merchant(),
  customer(),
  member('dim_payment_method', 'payment_method_key', 'payment_method_id'),
  member('dim_geography', 'geography_key', 'country_code'),
] -%}
{% set disputed %}
    select
      transaction_id,
      count(*)::bigint as dispute_count,
      sum(amount_minor)::bigint as disputed_minor,
      max(case when is_fraud then 1 else 0 end) = 1 as is_fraud_disputed
    from {{ ref('fact_dispute') }}
    where not is_deleted
    group by transaction_id
{% endset -%}
{% set touched -%}
  {% if is_incremental() -%}
    {{ touched_keys(ref('stg_transactions'), 'transactions', 'transaction_id') }}
    union
    {{ rekeyed(
      'transaction_id',
      members,
      'left join ' ~ ref('dim_device') ~ ' as dim_device on dim_device.device_key = fact.device_key'
        ~ ' left join (' ~ disputed ~ ') as disputed on disputed.transaction_id = fact.transaction_id',
      [
        'dim_device.device_key is null',
        '(fact.device_key = -1 and fact.is_device_present)',
        'fact.dispute_count <> coalesce(disputed.dispute_count, 0)',
        'fact.disputed_minor <> coalesce(disputed.disputed_minor, 0)',
        'fact.is_fraud_disputed <> coalesce(disputed.is_fraud_disputed, false)',
      ]
    ) }}
  {%- endif %}
{%- endset -%}
with {{ latest_states('stg_transactions', 'transactions', 'transaction_id', 'status', touched | trim) }},
devices as (
  select
    device_key,
    {{ device_kind('dim_device') }} as device_kind
  from {{ ref('dim_device') }} as dim_device
  where device_key <> -1
),
disputed as (
  {{ disputed }}
)
select
  states.transaction_id,
  coalesce(created.date_key, -1) as created_date_key,
  coalesce(minutes.time_key, -1) as created_time_key,
  coalesce(dim_merchant.merchant_key, -1) as merchant_key,
  coalesce(dim_customer.customer_key, -1) as customer_key,
  coalesce(dim_payment_method.payment_method_key, -1) as payment_method_key,
  coalesce(dim_geography.geography_key, -1) as geography_key,
  coalesce(devices.device_key, -1) as device_key,
  states.merchant_id,
  states.customer_token,
  states.payment_method_id,
  states.epoch,
  states.version,
  states.status,
  states.currency,
  states.amount_minor,
  states.captured_minor,
  states.refunded_minor,
  states.amount_usd_minor,
  states.captured_usd_minor,
  states.refunded_usd_minor,
  states.usd_rate,
  states.usd_rate_date,
  states.country_code,
  states.ip_network,
  states.is_device_present,
  states.is_customer_known,
  states.is_merchant_known,
  states.is_payment_method_known,
  states.is_device_known,
  coalesce(disputed.dispute_count, 0) as dispute_count,
  coalesce(disputed.disputed_minor, 0) as disputed_minor,
  coalesce(disputed.is_fraud_disputed, false) as is_fraud_disputed,
  states.is_deleted,
  states.created_at,
  states.created_date,
  states.updated_at,
  states.state_sequence as load_sequence
from states
left join {{ ref('dim_date') }} as created on created.calendar_date = states.created_date
left join {{ ref('dim_time') }} as minutes on minutes.time_key = {{ time_key('states.created_at') }}
{{ join_members(members) }}
left join devices on states.is_device_present and devices.device_kind = {{ device_kind('states') }}
left join disputed on disputed.transaction_id = states.transaction_id
