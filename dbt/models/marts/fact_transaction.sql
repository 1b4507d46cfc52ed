{{ config(
    unique_key='transaction_id',
    pre_hook="{{ delete_vanished('stg_transactions', 'transactions', 'transaction_id', 'status') }}"
) }}
{% set rekeyed %}
    -- Payments whose dimension's versions have changed since: their key is gone, is
    -- the unknown one although they name somebody, or no longer covers created_at.
    select fact.transaction_id
    from {{ this }} as fact
    left join {{ ref('dim_merchant') }} as merchant on merchant.merchant_key = fact.merchant_key
    left join {{ ref('dim_customer') }} as customer on customer.customer_key = fact.customer_key
    left join {{ ref('dim_payment_method') }} as method on method.payment_method_key = fact.payment_method_key
    where merchant.merchant_key is null
      or fact.created_at < merchant.effective_from
      or fact.created_at >= merchant.effective_to
      or (fact.merchant_key = -1 and fact.merchant_id is not null)
      or customer.customer_key is null
      or fact.created_at < customer.effective_from
      or fact.created_at >= customer.effective_to
      or (fact.customer_key = -1 and fact.customer_token is not null)
      or method.payment_method_key is null
      or (fact.payment_method_key = -1 and fact.payment_method_id is not null)
{% endset -%}
{% set touched -%}
  {% if is_incremental() -%}
    {{ touched_keys(ref('stg_transactions'), 'transactions', 'transaction_id') }}
    union
    {{ rekeyed }}
  {%- endif %}
{%- endset -%}
with picked as (
  {{ latest_position(ref('stg_transactions'), 'transaction_id', touched | trim) }}
),
latest as (
  select
    versions.*,
    picked.key_sequence
  from picked
  inner join {{ ref('stg_transactions') }} as versions
    on versions.transaction_id = picked.transaction_id
    and versions.partition_date = picked.partition_date
    and versions.epoch = picked.epoch
    and versions.version = picked.version
),
{{ settled(ref('stg_transactions'), 'transaction_id', 'status') }},
removed as (
  {{ removals('transactions') }}
)
select
  settled.transaction_id,
  coalesce(calendar.date_key, -1) as created_date_key,
  coalesce(merchant.merchant_key, -1) as merchant_key,
  coalesce(customer.customer_key, -1) as customer_key,
  coalesce(method.payment_method_key, -1) as payment_method_key,
  settled.merchant_id,
  settled.customer_token,
  settled.payment_method_id,
  settled.epoch,
  settled.version,
  settled.status,
  settled.currency,
  settled.amount_minor,
  settled.captured_minor,
  settled.refunded_minor,
  settled.amount_usd_minor,
  settled.captured_usd_minor,
  settled.refunded_usd_minor,
  settled.usd_rate,
  settled.usd_rate_date,
  settled.country_code,
  settled.ip_network,
  settled.is_device_present,
  settled.is_customer_known,
  settled.is_merchant_known,
  settled.is_payment_method_known,
  settled.is_deleted,
  settled.created_at,
  settled.created_date,
  settled.updated_at,
  greatest(settled.key_sequence, coalesce(removed.load_sequence, 0)) as load_sequence
from settled
left join {{ ref('dim_date') }} as calendar on calendar.calendar_date = settled.created_date
left join {{ ref('dim_merchant') }} as merchant
  on merchant.merchant_id = settled.merchant_id
  and settled.created_at >= merchant.effective_from
  and settled.created_at < merchant.effective_to
left join {{ ref('dim_customer') }} as customer
  on customer.customer_token = settled.customer_token
  and settled.created_at >= customer.effective_from
  and settled.created_at < customer.effective_to
left join {{ ref('dim_payment_method') }} as method on method.payment_method_id = settled.payment_method_id
left join removed on removed.removed_key = settled.transaction_id
