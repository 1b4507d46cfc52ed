select
  customer_token,
  epoch,
  version,
  country_code,
  segment,
  status,
  is_deleted,
  created_at,
  updated_at,
  partition_date,
  load_sequence
from {{ source('landing', 'customers') }}
