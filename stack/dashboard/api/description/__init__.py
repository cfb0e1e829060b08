"""What the API's OpenAPI document says, one module for each resource."""
