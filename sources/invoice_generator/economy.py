"""Every constant of the generated economy, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Economy:
    """Money in yuan, rates per month unless the name says otherwise.

    The constants marked "tuned" were set so that an honest out-of-time model reaches an AUC of about
    0.75–0.82 and size alone about 0.60–0.70, as small-firm scorecards do in practice.
    """

    # --- population ---
    sales_median_cny: float = 2.4e6  # yearly sales of the median firm: a micro enterprise
    sales_sigma: float = 1.25  # spread of log sales: the largest firm sells about 70 times the median
    invoices_median: float = 26.0  # sale invoices of the median firm per year
    invoices_size_slope: float = 0.42  # bigger firms issue more and larger invoices
    invoices_quality_slope: float = 0.15  # good firms trade a little and often
    invoices_sigma: float = 0.65  # with the slope a heavy tail, p10–p90 about 7–65 a year
    purchases_per_sale: float = 1.15  # suppliers' invoices per sale invoice
    cost_share: float = 0.72  # purchases / sales of the median firm
    young_share: float = 0.12  # registered within the generated years: thin files
    small_scale_share: float = 0.5  # firms below the turnover limit that pay 3 % VAT
    service_share: float = 0.10  # service firms, 6 % VAT
    small_scale_limit_cny: float = 5.0e6  # yearly sales above which a firm is a general taxpayer
    borrower_share: float = 0.84  # firms that ever borrow from this lender

    # --- hidden fortunes (monthly) ---
    stress_hazard: float = 0.0026  # chance that a calm firm of average quality falls into stress; tuned
    stress_quality_slope: float = 1.35  # log hazard per unit of hidden quality; tuned
    stress_size_slope: float = 0.8  # log hazard per standard deviation of log sales; tuned
    stress_decline_slope: float = 2.6  # log hazard per unit of log demand lost in a year; tuned
    stress_hazard_growth: float = 0.30  # per year: the weak leave, times get harder
    failure_share: float = 0.7  # stressed firms that end in failure, the others recover; tuned
    sudden_hazard: float = 0.0005  # failures without any sign before (fraud, illness, a lost customer); tuned
    quiet_exit_hazard: float = 0.0015  # owners who stop without defaulting: look-alikes of failure
    stress_months: tuple[int, int] = (6, 9)  # from the first sign to 90 days past due
    stop_share: float = 0.6  # failed firms that stop trading; the others go on smaller
    shrunk_log_sales: float = 0.7  # log sales lost by those who go on

    # --- what is seen of it ---
    growth_sigma_year: float = 0.22  # spread of yearly log growth between firms
    growth_quality_slope: float = 0.12  # good firms grow faster
    wander_sigma: float = 0.1  # monthly random walk of log sales: honest firms shrink too
    stress_sales_drop: float = 1.6  # log sales lost at the height of stress (mean over firms); tuned
    stress_purchase_drop: float = 2.3  # purchases are cut deeper than sales
    stress_narrowing: float = 0.7  # share of customers lost at the height of stress
    stress_void_lift: float = 0.12  # more invoices are voided: orders are cancelled
    burst_shape_calm: float = 10.0  # shape of monthly activity noise (smaller is burstier)
    burst_shape_quality_slope: float = 0.8  # log shape per unit of quality: good firms trade steadily
    burst_shape_stress: float = 0.7  # shape at the height of stress: gaps
    cost_quality_slope: float = -0.2  # log cost share per unit of quality: margin

    # --- invoices ---
    void_share: float = 0.045  # 作废, median over firms
    void_sigma: float = 0.4  # spread of its log between firms
    void_quality_slope: float = -0.75  # careless firms void more
    red_share: float = 0.014  # 红字 per valid invoice
    red_lag_days: float = 40.0  # mean days from an invoice to its red letter
    red_unmatched_share: float = 0.12  # red letters whose blue invoice is not in the files
    ticket_sigma: float = 0.6  # spread of log amount within a firm
    round_share: float = 0.12  # amounts agreed as a round tax-inclusive sum
    buyers: int = 24_000  # codes that can appear as counterparties
    sellers: int = 18_000
    popularity: float = 2.2  # power of the draw of a counterparty: large buyers are shared
    customers_quality_slope: float = 0.35  # log number of customers per unit of quality
    partner_life_months: float = 34.0  # mean life of a trade link

    # --- loans: one-year bullets that are rolled over ---
    second_line_share: float = 0.30  # borrowers with two loans at a time
    loan_to_sales: float = 0.14  # principal / yearly sales
    gap_days: tuple[int, int] = (0, 50)  # between repayment and the next loan
    cured_share: float = 0.45  # recovering stressed borrowers who were 31–90 days late: indeterminate
    guaranteed_share: float = 0.4
    guarantor_early_share: float = 0.2  # guarantors who pay before 90 days past due
    bureau_rating_noise: float = 0.7  # spread of the lender's view of quality in the letters A, B, C


@dataclass(frozen=True)
class Traps:
    """How many faults of the real files are planted."""

    leading_space_share: float = 0.006  # ` 作废发票`
    doubled_firms: int = 1  # firms whose sale rows are loaded twice
    zero_amounts: int = 40
    wrong_totals: int = 6
    valid_and_void: int = 30  # invoices listed once valid and once void
    absurd_dates: tuple[str, ...] = ("2202/7/8", "1900/1/1")


ECONOMY = Economy()
TRAPS = Traps()
