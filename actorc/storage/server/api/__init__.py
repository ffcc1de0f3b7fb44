"""The JSON API on the HTTP plane: routes, callers, answers and their OpenAPI document.

Packages above, such as `lucas_storage`, bring routes of their own through entry points (`installed_routes`).
"""
