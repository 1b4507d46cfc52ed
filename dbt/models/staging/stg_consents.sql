select
  consent_id,
  epoch,
  version,
  customer_token,
  purpose,
  is_granted,
  channel,
  is_deleted,
  created_at,
  updated_at,
  partition_date,
  load_sequence
from {{ source('landing', 'consents') }}
