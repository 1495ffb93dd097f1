"""Structure: the space of candidates, their costs, the gates over them, the budget, and the discrete answer."""
