-- Who invited, by id: an invitation opens nothing when its inviter could not make it any more. One whose
-- inviter is not known by name is void.
ALTER TABLE invitations ADD COLUMN invited_by_id TEXT;
UPDATE invitations SET invited_by_id = (
    SELECT accounts.id FROM accounts
    WHERE accounts.workspace_id = invitations.workspace_id AND accounts.name = invitations.invited_by
);
DELETE FROM invitations WHERE invited_by_id IS NULL;
CREATE INDEX invitations_by_inviter ON invitations (workspace_id, invited_by_id);
