"""What is in the one DynamoDB table, and how it is read and written."""
