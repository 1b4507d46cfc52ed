{{ config(
    unique_key='customer_token',
    pre_hook="{{ delete_vanished_members('stg_customers', 'customers', 'int_customer_references', 'customer_token') }}"
) }}
-- depends_on: {{ ref('stg_removed_keys') }}
{{ versioned_dimension(
    versions='stg_customers',
    dataset='customers',
    references='int_customer_references',
    natural_key='customer_token',
    surrogate_key='customer_key',
    value='status',
    attributes={'country_code': 'varchar', 'segment': 'varchar', 'status': 'varchar'}
) }}
