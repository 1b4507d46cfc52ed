-- The source tables of the payment company. Amounts, currencies and statuses are nullable and unchecked on purpose:
-- real payment databases hold bad values, and the platform must survive them.

CREATE TABLE oltp.currencies (
    currency text PRIMARY KEY,
    exponent smallint NOT NULL CHECK (exponent BETWEEN 0 AND 4),
    name text NOT NULL
);

CREATE TABLE oltp.countries (
    country_code text PRIMARY KEY,
    name text NOT NULL
);

-- US dollars per one major unit of the currency. A rate once fixed never changes: amounts were converted with it.
CREATE TABLE oltp.exchange_rates (
    currency text NOT NULL,
    rate_date date NOT NULL,
    usd_rate numeric(18, 9) NOT NULL CHECK (usd_rate > 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_id text,
    PRIMARY KEY (currency, rate_date)
);

CREATE TABLE oltp.merchants (
    merchant_id text PRIMARY KEY,
    name text,
    mcc text,
    country_code text,
    currency text,
    status text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    load_id text
);

CREATE TABLE oltp.customers (
    customer_id text PRIMARY KEY,
    customer_token text NOT NULL UNIQUE,
    token_key_id text NOT NULL,
    country_code text,
    segment text,
    status text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    load_id text
);

-- Who the customers are. In no publication, and granted to neither the extract nor the capture role.
CREATE TABLE oltp.customer_identities (
    customer_id text PRIMARY KEY,
    full_name text,
    email text,
    phone text,
    address text,
    birth_date date
);

-- Vault tokens only: no column can hold a card number, its last digits or its issuer range.
CREATE TABLE oltp.payment_methods (
    payment_method_id text PRIMARY KEY,
    customer_id text,
    method_type text,
    card_brand text,
    card_funding text,
    issuer_country_code text,
    payment_method_token text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    load_id text
);

CREATE TABLE oltp.transactions (
    transaction_id text NOT NULL,
    merchant_id text,
    customer_id text,
    customer_token text,
    payment_method_id text,
    amount numeric(20, 4),
    amount_minor bigint,
    captured_minor bigint,
    refunded_minor bigint,
    currency text,
    status text,
    country_code text,
    device_id text,
    ip_address text,
    description text,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    load_id text,
    PRIMARY KEY (transaction_id, created_at)
) PARTITION BY RANGE (created_at);

CREATE TABLE oltp.transactions_default PARTITION OF oltp.transactions DEFAULT;
ALTER TABLE oltp.transactions_default REPLICA IDENTITY FULL;

-- Makes a payment's id unique over all months, for ever: a row stays here when its payment is deleted.
CREATE TABLE oltp.transaction_keys (
    transaction_id text PRIMARY KEY,
    created_at timestamptz NOT NULL
);

-- Ids of deleted merchants, customers and payment methods. Used again, an id would start at version 1 below its past.
CREATE TABLE oltp.retired_keys (
    table_name text NOT NULL,
    key text NOT NULL,
    PRIMARY KEY (table_name, key)
);

-- What bulk loads have written, so that one repeated writes nothing twice.
CREATE TABLE oltp.bulk_loads (
    source text NOT NULL,
    part text NOT NULL,
    written_until timestamptz NOT NULL,
    row_count bigint NOT NULL,
    load_id text NOT NULL,
    PRIMARY KEY (source, part)
);

COMMENT ON TABLE oltp.exchange_rates IS 'US dollars per one major unit; append-only';
COMMENT ON TABLE oltp.customer_identities IS 'Names and addresses; never leaves this database';
COMMENT ON COLUMN oltp.transactions.amount IS 'Amount as the API sent it, in major units';
COMMENT ON COLUMN oltp.transactions.amount_minor IS 'Amount in minor units of the currency; what the platform uses';
