"""Plain HTTP: one request, one answer, no session. `door.py` is the way through; it asks the pipeline directly.

what  places.py (what stands where, how the door knows who asks)
in    request.py · crosssite.py (who made the browser ask) · arguments.py · receiving.py (uploads) · urls.py (`get_url`)
out   plan.py (what is known of a service beforehand) · answers.py · lines.py (streams) · downloads.py · waiting.py
"""
