{{ config(materialized='table') }}
-- depends_on: {{ ref('stg_removed_keys') }}
-- Small beside the payments, so made anew each time. What held at an earlier time is in stg_consents, version by version.
with {{ latest_states('stg_consents', 'consents', 'consent_id', 'purpose') }},
ranked as (
  select
    *,
    max(state_sequence) over (partition by customer_token, purpose) as decision_sequence,
    row_number() over (
      partition by customer_token, purpose
      order by case when is_granted then 1 else 0 end, updated_at desc, consent_id
    ) as strictness
  from states
  where not is_deleted
)
select
  customer_token,
  purpose,
  is_granted,
  purpose = 'data_sale' and not is_granted as is_opt_out,
  channel,
  updated_at as decided_at,
  decision_sequence as load_sequence
from ranked
where strictness = 1
