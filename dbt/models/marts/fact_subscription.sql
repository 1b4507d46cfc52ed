{{ config(
    unique_key='subscription_id',
    pre_hook="{{ delete_vanished('stg_subscriptions', 'subscriptions', 'subscription_id', 'status') }}"
) }}
{% set members = [merchant(), customer()] -%}
{% set touched -%}
  {% if is_incremental() -%}
    {{ touched_keys(ref('stg_subscriptions'), 'subscriptions', 'subscription_id') }}
    union
    {{ rekeyed('subscription_id', members) }}
  {%- endif %}
{%- endset -%}
with {{ latest_states('stg_subscriptions', 'subscriptions', 'subscription_id', 'status', touched | trim) }}
select
  states.subscription_id,
  coalesce(created.date_key, -1) as created_date_key,
  coalesce(canceled.date_key, -1) as canceled_date_key,
  coalesce(period_end.date_key, -1) as period_end_date_key,
  coalesce(dim_merchant.merchant_key, -1) as merchant_key,
  coalesce(dim_customer.customer_key, -1) as customer_key,
  states.merchant_id,
  states.customer_token,
  states.epoch,
  states.version,
  states.status,
  states.plan_code,
  states.billing_interval,
  states.currency,
  states.amount_minor,
  states.amount_usd_minor,
  -- As subscription analytics normalise: 52 weeks or one year are twelve months.
  case states.billing_interval
    when 'week' then {{ times_fraction('states.amount_usd_minor', 13, 3) }}
    when 'year' then {{ times_fraction('states.amount_usd_minor', 1, 12) }}
    else states.amount_usd_minor
  end as monthly_usd_minor,
  states.usd_rate,
  states.usd_rate_date,
  states.period_start_at,
  states.period_end_at,
  states.canceled_at,
  states.is_customer_known,
  states.is_merchant_known,
  states.is_deleted,
  states.created_at,
  states.created_date,
  states.updated_at,
  states.state_sequence as load_sequence
from states
left join {{ ref('dim_date') }} as created on created.calendar_date = states.created_date
left join {{ ref('dim_date') }} as canceled on canceled.calendar_date = cast({{ in_utc('states.canceled_at') }} as date)
left join {{ ref('dim_date') }} as period_end
  on period_end.calendar_date = cast({{ in_utc('states.period_end_at') }} as date)
{{ join_members(members) }}
