"""Credit models: from features to an approved, explained and replayable score.

Way of the data: `dataset` (sample, label, frozen snapshot) → `binning` → `scorecard` → `experiments`
(cross-validation of all candidates) → `validation`, `plots`, `reports` → `training` (tracking) →
`promotion` (gate and ledger) → `scoring`.
"""
