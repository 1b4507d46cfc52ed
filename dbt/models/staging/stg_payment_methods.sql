select
  payment_method_id,
  epoch,
  version,
  method_type,
  card_brand,
  card_funding,
  issuer_country_code,
  is_deleted,
  created_at,
  updated_at,
  partition_date,
  load_sequence
from {{ source('landing', 'payment_methods') }}
