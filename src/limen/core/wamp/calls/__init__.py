"""Calls: who has registered what (`registrar`, `registrations`), who answers (`dealer`), what is `pending`."""
