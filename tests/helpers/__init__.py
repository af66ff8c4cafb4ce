"""What tests share: small inputs of every kind, servers that misbehave, and readers of what was published."""
