"""Where it is sent: OpenTelemetry providers, exporters, metrics and the names of the conventions.

The only part of the package that knows the OpenTelemetry SDK.
"""
