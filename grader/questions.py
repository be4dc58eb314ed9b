"""Which published table answers which question of the grader, and the columns it must have: declared here alone.

A table may have more columns. One that is not published yet, or lacks a column, leaves its question unanswered.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """`table` answers what is asked; `columns` name what each must mean; `grain` is what one row stands for."""

    name: str
    asks: str
    table: str
    grain: str
    columns: dict[str, str]

    def statement(self, table: str) -> str:
        """The query put to the lakehouse, where the table may stand under another schema's name."""
        return f"SELECT {', '.join(f'`{column}`' for column in self.columns)} FROM {table}"


QUESTIONS = {
    question.name: question
    for question in (
        Question(
            "enterprises",
            "Which enterprise has which unified social credit code?",
            "silver.enterprise",
            "enterprise, as known",
            {"enterprise_id": "the lakehouse's own id", "uscc": "unified social credit code, null when unknown"},
        ),
        Question(
            "identity",
            "Which key of which department is which enterprise?",
            "silver.enterprise_key",
            "system × department × key, as known",
            {
                "enterprise_id": "the enterprise the key was linked to",
                "system": "system that uses the key",
                "department": "department of that system",
                "key": "the key as that department writes it",
            },
        ),
        Question(
            "frauds",
            "Who lies, in which way, and since when is it known?",
            "gold.contradiction",
            "enterprise × kind × day found",
            {
                "enterprise_id": "who",
                "kind": "kind of behaviour, in the names of the world's catalogue",
                "found_on": "day on which the lakehouse could first tell",
            },
        ),
        Question(
            "defaults",
            "How likely is a default within twelve months?",
            "gold.enterprise_score",
            "enterprise × as_of",
            {
                "enterprise_id": "who",
                "as_of": "date of the score",
                "pd": "probability of default, null when not scored",
            },
        ),
        Question(
            "flows",
            "Which order, deliveries and payments belong to an invoice?",
            "gold.trade_match",
            "invoice × record matched to it",
            {
                "invoice_number": "number printed on the invoice",
                "record": "order, delivery or payment",
                "occurred_on": "day of the order, the shipment or the payment",
                "amount": "units of the order or shipment, yuan of the payment",
            },
        ),
        Question(
            "alerts",
            "Whom would the bank have been warned of, and when?",
            "gold.alert",
            "enterprise × day × source",
            {
                "enterprise_id": "who",
                "alerted_on": "day on which the alert could be read",
                "source": "source family that raised it, such as invoices or electricity",
            },
        ),
    )
}
