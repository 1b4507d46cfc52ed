-- Written by every landing load, so it depends on all of them:
-- {{ source('landing', 'transactions') }}, {{ source('landing', 'payment_methods') }},
-- {{ source('landing', 'merchants') }}, {{ source('landing', 'customers') }}, {{ source('landing', 'devices') }},
-- {{ source('landing', 'refunds') }}, {{ source('landing', 'disputes') }}, {{ source('landing', 'subscriptions') }},
-- {{ source('landing', 'consents') }}
select
  dataset,
  removed_key,
  created_date,
  load_sequence
from landing.removed_keys
