"""What SQL and data frames are made of, by hand: the cases in which names alone would say too much or too little."""

from __future__ import annotations

import pytest
import sqlglot

from lakehouse.errors import ConfigError
from lineage.expressions import Scope, of_text
from lineage.frames import Frame, Session, expr, standing_in
from lineage.queries import evaluate_query
from lineage.values import Relation, table

T = table("t", ["k", "x", "y", "items", "sale"])
U = table("u", ["k", "v"])


def query(text: str) -> Relation:
    return evaluate_query(sqlglot.parse_one(text, dialect="spark"), lambda name: {"t": T, "u": U}[name])


def computed(made: Relation, column: str) -> set[str]:
    return {ref.partition(".")[2] for ref in made.columns[column].computed}


def test_a_lambda_takes_the_fields_that_it_names_out_of_a_list_of_structs() -> None:
    made = query(
        "with m as (select collect_list(struct(k, struct(x, y) as both)) as l from t group by k) "
        "select transform(l, e -> e.both.x) as xs, map_from_entries(l) as whole, "
        "transform(sequence(1, 3), n -> try_element_at(map_from_entries(l), n).y) as ys from m"
    )
    assert computed(made, "xs") == {"x"}
    assert computed(made, "ys") == {"y"}
    assert computed(made, "whole") == {"x", "y"} and made.columns["whole"].decided_by == {"t.k"}


def test_adding_up_counts_start_and_elements_and_a_filter_decides() -> None:
    made = query(
        "select aggregate(items, x, (total, i) -> total + i * y, total -> total / k) as a, "
        "filter(items, i -> i > y) as f, zip_with(items, sale, (i, s) -> s) as z from t"
    )
    assert computed(made, "a") == {"items", "x", "y", "k"}
    assert computed(made, "f") == {"items"} and made.columns["f"].decided_by == {"t.items", "t.y"}
    assert computed(made, "z") == {"items", "sale"}


def test_conditions_orders_and_keys_decide_rows_and_are_not_values() -> None:
    made = query("select x, lag(x) over (partition by k order by y) as before from t where items > 0")
    assert computed(made, "before") == {"x"}
    assert made.rows == {"t", "t.k", "t.y", "t.items"}
    counted = query("select count(*) as n, row_number() over (order by y) as place from t")
    assert counted.columns["n"].decided_by == {"t"} and counted.columns["place"].decided_by == {"t", "t.y"}


def test_a_hash_of_64_bits_tells_contents_apart_and_decides_nothing() -> None:
    made = query("with h as (select k, xxhash64(x, y) as content from t) select k, content from h where content <> 1")
    assert computed(made, "content") == {"x", "y"} and made.rows == {"t"}
    assert query("select k from t where sha2(x, 256) <> 'a'").rows == {"t", "t.x"}, "a digest names things"


def test_a_count_of_versions_is_made_of_what_makes_versions_and_decides_nothing() -> None:
    made = query("with n as (select k, count_if(x > y) as version_no from t group by k) "
                 "select max(version_no) as corrections from n where version_no > 1 order by version_no")  # fmt: skip
    assert computed(made, "corrections") == {"x", "y"}
    assert not made.rows & {"t.x", "t.y"}


def test_an_outer_join_s_side_is_decided_by_its_rows() -> None:
    made = query(
        "select t.x, s.n from t left join (select k, count(*) as n from u where v > 0 group by k) s on t.k = s.k"
    )
    assert computed(made, "x") == {"x"} and not made.columns["x"].decided_by
    assert made.columns["n"].decided_by == {"u", "u.k", "u.v"}


def test_stars_generators_and_subqueries() -> None:
    assert list(query("select t.* except (x), u.v from t join u using (k)").columns) == ["k", "y", "items", "sale", "v"]
    made = query(
        "select k, change.at as at from (select k, explode(array(struct(x as at), struct(y as at))) as change from t)"
    )
    assert computed(made, "at") == {"x", "y"}
    told = query("select k, inline(from_json(items, 'array<struct<a int, b struct<c int>>>')) from t")
    assert list(told.columns) == ["k", "a", "b"] and computed(told, "a") == {"items"}
    inner = query("select k from t where exists (select 1 from u where u.v = t.y)")
    assert inner.rows == {"t", "t.y", "u", "u.v"}


def test_a_function_that_nobody_knows_is_made_of_all_that_it_is_given() -> None:
    assert of_text("some_new_function(x, upper(y))", Scope({"t": T})).refs == {"t.x", "t.y"}
    with pytest.raises(ConfigError, match="cannot read"):
        of_text("x +* (", Scope({"t": T}))


def test_frames_say_what_the_same_query_says() -> None:
    with standing_in():
        from pyspark.sql import functions

        best = Frame(U).groupBy("k").agg(functions.expr("max_by(v, struct(k, v))").alias("best"))
        joined = Frame(T).alias("a").join(best.alias("b"), functions.expr("a.k = b.k AND a.x > 0"), "left")
        made = joined.where("y IS NOT NULL").selectExpr("a.k", "coalesce(best, x) AS found", "'c' AS letter").relation
    same = query("with b as (select k, max_by(v, struct(k, v)) as best from u group by k) select t.k, "
                 "coalesce(best, x) as found, 'c' as letter from t left join b on t.k = b.k and t.x > 0 "
                 "where y is not null")  # fmt: skip
    assert {n: (v.computed, v.decided_by) for n, v in made.columns.items()} == {
        n: (v.computed, v.decided_by) for n, v in same.columns.items()
    }
    assert made.rows == same.rows


def test_other_threads_get_the_real_functions_meanwhile() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from pyspark.sql import functions as real

    def sum_of_another_thread():
        from pyspark.sql import functions

        return functions.sum

    with standing_in(), ThreadPoolExecutor(1) as pool:
        from pyspark.sql import functions

        assert functions is not real and functions.sum is not real.sum
        assert pool.submit(sum_of_another_thread).result() is real.sum
    from pyspark.sql import functions as after

    assert after is real


def test_frames_know_unions_renaming_dropping_and_semi_joins() -> None:
    both = Frame(T).selectExpr("k", "x AS v").unionByName(Frame(U).select("k", "v"))
    assert both.relation.columns["v"].refs == {"t.x", "u.v"}
    left = Frame(T).withColumnRenamed("x", "z").withColumn("w", expr("z + y")).drop("y", "items", "sale")
    assert left.columns == ["k", "z", "w"] and left.relation.columns["w"].refs == {"t.x", "t.y"}
    semi = left.join(Frame(U).select("k"), ["k"], "left_semi")
    assert semi.columns == ["k", "z", "w"] and semi.relation.rows == {"t", "u", "t.k", "u.k"}
    assert Session().createDataFrame([], "a string, b array<int>").columns == ["a", "b"]


def test_an_operation_that_frames_do_not_know_is_made_of_everything() -> None:
    made = Frame(T).mapInArrow(lambda batches: batches, "k string, guess double").relation
    assert made.columns["guess"].refs >= {"t.k", "t.x", "t", "t.sale"}
    assert Frame(T).groupBy("k").applyInPandas(len, "k string, n long").relation.columns["n"].refs >= {"t.x"}
