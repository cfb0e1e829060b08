"""The reference for HTTP: an echo on functions-framework."""

import functions_framework


@functions_framework.http
def echo(request):
    """Answer with the body."""
    return request.get_data()
