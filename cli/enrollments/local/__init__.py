"""The deployed system on this machine, from ``template.yaml`` and nothing beside it.

``template`` expands and evaluates the template; ``rest_api`` reads its API and ``gateway`` answers for it as API
Gateway would, ``functions`` stands in for Lambda, moto or any DynamoDB endpoint for the table; ``stack`` puts them
together, ``demo`` seeds a workspace, ``server`` speaks HTTP, ``commands`` is the command line.
What the template says and this package cannot interpret is an error at the start, never an open door.
"""
