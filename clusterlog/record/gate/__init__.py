"""What is let through on its way from the log call to the road; without a setting that asks for it nothing is here.

Lines come in as the slot gets them and leave unchanged; of those that are held back one line tells.
"""
