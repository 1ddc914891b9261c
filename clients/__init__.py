"""The doors: one module per third party, which translates its errors into ours and keeps nothing of ours inside."""
