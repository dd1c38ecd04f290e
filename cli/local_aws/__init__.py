"""AWS on this machine, as far as a template needs it: API Gateway, Lambda and DynamoDB, interpreted from the template.

It knows nothing of what it runs: neither of the package ``enrollment`` nor of the operator's command.
"""
