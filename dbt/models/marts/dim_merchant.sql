{{ config(
    unique_key='merchant_id',
    pre_hook="{{ delete_vanished_members('stg_merchants', 'merchants', 'int_merchant_references', 'merchant_id') }}"
) }}
-- depends_on: {{ ref('stg_removed_keys') }}
{{ versioned_dimension(
    versions='stg_merchants',
    dataset='merchants',
    references='int_merchant_references',
    natural_key='merchant_id',
    surrogate_key='merchant_key',
    value='status',
    attributes={
      'name': 'varchar', 'mcc': 'varchar', 'country_code': 'varchar', 'currency': 'varchar', 'status': 'varchar',
    }
) }}
