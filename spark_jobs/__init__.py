"""The jobs that carry data from landing to gold: landing → bronze → silver → features, and their upkeep."""
