"""Calls: who has registered what (`registrar`, `registrations`), and who answers (`dealer`)."""
