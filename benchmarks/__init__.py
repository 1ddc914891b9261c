"""How fast and how cheap the instrument is, side by side with what people use today: `python -m benchmarks`.

One module per figure in `figures/`; what they run lies in `programs/` (scripts) and `locustfiles/`.
"""
