"""Notegate: notes and user info behind Amazon Cognito, the same at three doors.

Where to read first::

    aws                 where this runs; clients of AWS's services
    settings            every environment variable
    cold_start          what shortens a start in Lambda
    auth/               who is calling?     fetch ← jwks ← tokens ← current_user; refusals
    store/              where are the notes?     base ← sqlite, dynamodb
    errors, blocking    the one error shape; how to call what blocks
    routing             how a module's routes become the app's
    address, hosted     where a request came in; Cognito's hosted endpoints
    notes, userinfo     the API
    session, page       signing in by browser, and the page for people (web/)
    docs                the API's description and its page
    application         create_app: puts all this together
    adapter             Lambda's events ↔ the app
    main                door 1: a server        uvicorn app.main:app
    lambda_handler      door 2: a Lambda        app.lambda_handler.handler
    definition          the app as API Gateway knows it
    local/              door 3: API Gateway and Cognito on this machine     notegate

Each line may import what stands above it and nothing below (checked by import-linter).
"""
