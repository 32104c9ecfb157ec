"""Ways to make something: workflows with named parameters, and profiles, which are named sets of defaults."""
