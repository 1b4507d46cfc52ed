select
  merchant_id,
  epoch,
  version,
  name,
  mcc,
  country_code,
  currency,
  status,
  is_deleted,
  created_at,
  updated_at,
  partition_date,
  load_sequence
from {{ source('landing', 'merchants') }}
