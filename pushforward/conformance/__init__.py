"""Conformance: what every model and every recipe must do, checked on one of your own by one call.

The idea is scikit-learn's ``check_estimator``: the library trains, stores, resumes and samples whatever keeps
these promises, and no test has to be written for each model anew.
"""

from pushforward.conformance.suites import check_model, check_recipe

__all__ = ["check_model", "check_recipe"]
