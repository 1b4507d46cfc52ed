{# The few places where warehouses speak differently. Everything else in models/ is SQL that both understand. #}

{# 60 bits of md5 over the parts as a positive integer: the same number on every engine, so keys survive a move. #}
{% macro hash_key(parts) -%}
  {{ return(adapter.dispatch('hash_key')(parts)) }}
{%- endmacro %}

{% macro default__hash_key(parts) -%}
  ('0x' || left(md5({{ parts | join(" || '|' || ") }}), 15))::bigint
{%- endmacro %}

{% macro snowflake__hash_key(parts) -%}
  to_number(left(md5({{ parts | join(" || '|' || ") }}), 15), 'XXXXXXXXXXXXXXX')::bigint
{%- endmacro %}

{# A moment as text that does not depend on session settings: microseconds since 1970. #}
{% macro micros(moment) -%}
  {{ return(adapter.dispatch('micros')(moment)) }}
{%- endmacro %}

{% macro default__micros(moment) -%}
  epoch_us({{ moment }})::varchar
{%- endmacro %}

{% macro snowflake__micros(moment) -%}
  date_part(epoch_microsecond, {{ moment }})::varchar
{%- endmacro %}

{# One row per day of [first, end) in a column calendar_date. #}
{% macro calendar(first, end) -%}
  {{ return(adapter.dispatch('calendar')(first, end)) }}
{%- endmacro %}

{% macro default__calendar(first, end) -%}
  select unnest(range(date '{{ first }}', date '{{ end }}', interval 1 day))::date as calendar_date
{%- endmacro %}

{% macro snowflake__calendar(first, end) -%}
  select dateadd(day, row_number() over (order by null) - 1, date '{{ first }}') as calendar_date
  from table(generator(rowcount => 40000))
  qualify calendar_date < date '{{ end }}'
{%- endmacro %}

{# One row per number of [0, count) in a column number_of. #}
{% macro numbers(count) -%}
  {{ return(adapter.dispatch('numbers')(count)) }}
{%- endmacro %}

{% macro default__numbers(count) -%}
  select unnest(range(0, {{ count }}))::integer as number_of
{%- endmacro %}

{% macro snowflake__numbers(count) -%}
  select (row_number() over (order by null) - 1)::integer as number_of from table(generator(rowcount => {{ count }}))
{%- endmacro %}

{# A moment as the clock in UTC shows it, whatever zone the session is in. #}
{% macro in_utc(moment) -%}{{ return(adapter.dispatch('in_utc')(moment)) }}{%- endmacro %}
{% macro default__in_utc(moment) -%}({{ moment }} at time zone 'UTC'){%- endmacro %}
{% macro snowflake__in_utc(moment) -%}convert_timezone('UTC', {{ moment }})::timestamp_ntz{%- endmacro %}

{# The first moment after a UTC day. #}
{% macro end_of_day(day) -%}{{ return(adapter.dispatch('end_of_day')(day)) }}{%- endmacro %}
{% macro default__end_of_day(day) -%}(({{ day }} + interval 1 day) at time zone 'UTC'){%- endmacro %}
{% macro snowflake__end_of_day(day) -%}
  to_timestamp_tz(to_varchar(dateadd(day, 1, {{ day }}), 'YYYY-MM-DD') || ' 00:00:00 +00:00')
{%- endmacro %}

{% macro iso_day_of_week(day) -%}{{ return(adapter.dispatch('iso_day_of_week')(day)) }}{%- endmacro %}
{% macro default__iso_day_of_week(day) -%}isodow({{ day }}){%- endmacro %}
{% macro snowflake__iso_day_of_week(day) -%}dayofweekiso({{ day }}){%- endmacro %}

{% macro iso_year(day) -%}{{ return(adapter.dispatch('iso_year')(day)) }}{%- endmacro %}
{% macro default__iso_year(day) -%}isoyear({{ day }}){%- endmacro %}
{% macro snowflake__iso_year(day) -%}yearofweekiso({{ day }}){%- endmacro %}

{% macro iso_week(day) -%}{{ return(adapter.dispatch('iso_week')(day)) }}{%- endmacro %}
{% macro default__iso_week(day) -%}weekofyear({{ day }}){%- endmacro %}
{% macro snowflake__iso_week(day) -%}weekiso({{ day }}){%- endmacro %}

{% macro first_moment() -%}timestamp with time zone '0001-01-01 00:00:00+00:00'{%- endmacro %}
{% macro last_moment() -%}timestamp with time zone '9999-12-31 00:00:00+00:00'{%- endmacro %}
{% macro nothing(type) -%}cast(null as {{ type }}){%- endmacro %}
