select
  device_token,
  epoch,
  version,
  device_type,
  os_name,
  browser_name,
  is_deleted,
  created_at,
  updated_at,
  partition_date,
  load_sequence
from {{ source('landing', 'devices') }}
