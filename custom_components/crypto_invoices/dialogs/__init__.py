"""The dialogs: their forms, what is wrong with what was typed, and what it becomes.

Home Assistant finds the flows through `config_flow.py`.
"""
