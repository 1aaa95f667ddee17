"""Measurements around the trainer: the machine, the doctor, timers, the speed-up study and its report.

Nothing here is imported by the estimator. What needs a package from the extra ``lab`` imports it itself.
"""
