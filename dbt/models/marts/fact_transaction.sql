{{ config(
    unique_key='transaction_id',
    pre_hook="{{ delete_vanished('stg_transactions', 'transactions', 'transaction_id') }}"
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
removed as (
  {{ removals('transactions') }}
)
select
  latest.transaction_id,
  coalesce(calendar.date_key, -1) as created_date_key,
  coalesce(merchant.merchant_key, -1) as merchant_key,
  coalesce(customer.customer_key, -1) as customer_key,
  coalesce(method.payment_method_key, -1) as payment_method_key,
  latest.merchant_id,
  latest.customer_token,
  latest.payment_method_id,
  latest.epoch,
  latest.version,
  latest.status,
  latest.currency,
  latest.amount_minor,
  latest.captured_minor,
  latest.refunded_minor,
  latest.amount_usd_minor,
  latest.captured_usd_minor,
  latest.refunded_usd_minor,
  latest.usd_rate,
  latest.usd_rate_date,
  latest.country_code,
  latest.ip_network,
  latest.is_device_present,
  latest.is_customer_known,
  latest.is_merchant_known,
  latest.is_payment_method_known,
  latest.is_deleted,
  latest.created_at,
  latest.created_date,
  latest.updated_at,
  greatest(latest.key_sequence, coalesce(removed.load_sequence, 0)) as load_sequence
from latest
left join {{ ref('dim_date') }} as calendar on calendar.calendar_date = latest.created_date
left join {{ ref('dim_merchant') }} as merchant
  on merchant.merchant_id = latest.merchant_id
  and latest.created_at >= merchant.effective_from
  and latest.created_at < merchant.effective_to
left join {{ ref('dim_customer') }} as customer
  on customer.customer_token = latest.customer_token
  and latest.created_at >= customer.effective_from
  and latest.created_at < customer.effective_to
left join {{ ref('dim_payment_method') }} as method on method.payment_method_id = latest.payment_method_id
left join removed on removed.removed_key = latest.transaction_id
