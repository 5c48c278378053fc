"""`/emulator/`: read-only pages of what runs here, for people; links of local jobs lead to them."""
