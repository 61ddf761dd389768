"""What runs tasks on an agent, and how functions, arguments, output and results travel there and back."""
