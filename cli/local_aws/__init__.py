"""Stands in for AWS on this machine.  It interprets a template's API Gateway, Lambda functions and DynamoDB table.

``template`` expands and evaluates the template.  ``rest_api`` reads its API.  ``gateway`` answers requests as API
Gateway would.  ``functions`` stands in for Lambda, and moto for DynamoDB.  ``server`` speaks HTTP.

This package imports neither the package ``enrollment`` nor the operator's command.
"""
