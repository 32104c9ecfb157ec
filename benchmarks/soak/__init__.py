"""Hours of steady work while the daemon, its worker and its servers are killed at random: what is lost, what grows?"""
