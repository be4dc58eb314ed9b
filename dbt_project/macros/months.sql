{# Arithmetic on arrays of 24 monthly integers, newest month (month 1) first. Sums stay exact integers. #}

{# Σ of months first..last. #}
{% macro month_sum(months, first, last) -%}
    aggregate(slice({{ months }}, {{ first }}, {{ last - first + 1 }}), 0L, (total, x) -> total + x)
{%- endmacro %}

{# Number of months first..last for which the condition on x holds. #}
{% macro month_count(months, first, last, condition='x > 0') -%}
    size(filter(slice({{ months }}, {{ first }}, {{ last - first + 1 }}), x -> {{ condition }}))
{%- endmacro %}

{# Exact Σ x·y over two arrays of integers of equal length, as decimal(38, 0). #}
{% macro dot(xs, ys) -%}
    aggregate(
        zip_with({{ xs }}, {{ ys }}, (x, y) -> cast(x as decimal(19, 0)) * cast(y as decimal(19, 0))),
        cast(0 as decimal(38, 0)), (total, x) -> cast(total + x as decimal(38, 0))
    )
{%- endmacro %}

{# Exact Σ of an array of integers. #}
{% macro total(xs) -%}
    aggregate({{ xs }}, 0L, (total, x) -> total + x)
{%- endmacro %}

{# n·Σxy - Σx·Σy: n² times the population covariance, an exact integer. #}
{% macro scaled_covariance(xs, ys, n) -%}
    ({{ n }} * {{ dot(xs, ys) }} - cast({{ total(xs) }} as decimal(19, 0)) * cast({{ total(ys) }} as decimal(19, 0)))
{%- endmacro %}

{# Median of months 1..12: the mean of the sixth and seventh in order. #}
{% macro median_of_twelve(months) -%}
    cast(aggregate(slice(array_sort(slice({{ months }}, 1, 12)), 6, 2), 0L, (total, x) -> total + x) as double) / 2.0D
{%- endmacro %}

{# Least-squares slope per month of ln(1 + yuan) over the last n months, oldest first. #}
{% macro log_slope(months, n) -%}
    12.0D / {{ n * (n * n - 1) }}.0D * aggregate(
        transform(
            slice({{ months }}, 1, {{ n }}),
            (x, i) -> ({{ (n - 1) / 2 }}D - cast(i as double)) * ln(1.0D + greatest(cast(x as double), 0.0D) / 100.0D)
        ),
        0.0D, (total, x) -> total + x
    )
{%- endmacro %}

{# Least-squares slope per month divided by the monthly mean; NULL where the window's sum is not positive. #}
{% macro relative_slope(months, window_sum, n) -%}
    12.0D * cast(aggregate(
        transform(slice({{ months }}, 1, {{ n }}), (x, i) -> cast({{ n - 1 }} - 2 * i as decimal(19, 0)) * cast(x as decimal(19, 0))),
        cast(0 as decimal(38, 0)), (total, x) -> cast(total + x as decimal(38, 0))
    ) as double) / (2.0D * {{ n * n - 1 }}.0D * case when {{ window_sum }} > 0 then cast({{ window_sum }} as double) end)
{%- endmacro %}

{# Population coefficient of variation of an array of n integers whose sum is given; NULL where it is not positive. #}
{% macro variation(xs, sum_of_xs, n) -%}
    sqrt(cast({{ scaled_covariance(xs, xs, n) }} as double))
        / case when {{ sum_of_xs }} > 0 then cast({{ sum_of_xs }} as double) end
{%- endmacro %}

{# Pearson correlation of two arrays of n integers; NULL where one is constant. #}
{% macro correlation(xs, ys, n) -%}
    cast({{ scaled_covariance(xs, ys, n) }} as double) / nullif(
        sqrt(cast({{ scaled_covariance(xs, xs, n) }} as double)) * sqrt(cast({{ scaled_covariance(ys, ys, n) }} as double)),
        0.0D
    )
{%- endmacro %}

{# Σ |x(k) - x(k + 1)| over the last twelve months. #}
{% macro month_changes(months) -%}
    aggregate(
        zip_with(slice({{ months }}, 1, 11), slice({{ months }}, 2, 11), (x, y) -> abs(x - y)),
        0L, (total, x) -> total + x
    )
{%- endmacro %}

{# Months with 0 among those given, February left out; `calendar` holds their calendar months. #}
{% macro zero_months(counts) -%}
    size(filter(
        zip_with({{ counts }}, slice(calendar, 1, size({{ counts }})), (x, m) -> x = 0 and m <> 2), quiet -> quiet
    ))
{%- endmacro %}

{# Greatest number of consecutive zeros. #}
{% macro longest_zero_run(counts) -%}
    aggregate(
        {{ counts }},
        struct(0 as run, 0 as best),
        (state, x) -> struct(
            case when x = 0 then state.run + 1 else 0 end as run,
            greatest(state.best, case when x = 0 then state.run + 1 else 0 end) as best
        ),
        state -> state.best
    )
{%- endmacro %}
